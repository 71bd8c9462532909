# Where one output pixel looks in the last layer of each stage. `make analyses` runs this with
# data='prefix' size=32 out='file.png'; <prefix>1 to <prefix>4 are `internimage plot sampling
# --stage N`, in pixels of the image. Size of a point: its modulation.
set terminal pngcairo size 1000,300 font "sans,11" background "white"
set output out
set size ratio 1
set xrange [-size/2.0:1.5*size]; set yrange [1.5*size:-size/2.0]
unset xtics; unset ytics; unset key
set object 1 rectangle from 0,0 to size,size fs empty border lc rgb "#888888"
set multiplot layout 1,4 margins 0.01,0.99,0.02,0.9 spacing 0.01,0
do for [stage=1:4] {
    file = sprintf("%s%d", data, stage)
    set title sprintf("stage %d", stage)
    plot file using 2:3 with points pt 4 ps 1.2 lc rgb "#999999", \
         file using 2:3:($4-$2):($5-$3) with vectors nohead lc rgb "#bbbbbb", \
         file using 4:5:(0.3+sqrt($6)*3) with points pt 6 ps variable lc rgb "black"
}
unset multiplot
