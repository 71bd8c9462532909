# Where one output pixel of a DCNv3 layer looks. `make figures` runs this with
# data='points' photo='file.ppm' out='file.png'.
set terminal pngcairo size 900,460 font "sans,11" background "white"
set output out
set multiplot layout 1,2 title "InternImage-T, levels.2.blocks.8.dcn: one output pixel, two groups"
set xrange [0:224]; set yrange [224:0]
set size ratio 1
set key below
unset xtics; unset ytics; set border lc rgb "#888888"
do for [group in "1 6"] {
    set title sprintf("group %s", group)
    plot photo binary array=(224,224) skip=15 format='%uchar' using 1:2:3 with rgbimage notitle, \
         data using (int($1)==int(group) ? $2 : 1/0):3 with points pt 4 ps 1.2 lw 1.5 lc rgb "#dddddd" title "regular window", \
         data using (int($1)==int(group) ? $2 : 1/0):3:($4-$2):($5-$3) with vectors nohead lw 1 lc rgb "#ffcc00" notitle, \
         data using (int($1)==int(group) ? $4 : 1/0):5:(sqrt($6)*4.5) with points pt 7 ps variable lc rgb "#ff3030" title "sampled, size = modulation"
}
unset multiplot
