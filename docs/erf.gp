# Effective receptive fields of four stages, before and after training. `make analyses` runs
# this with before='maps' after='maps' size=224 out='file.png'; the maps are `internimage erf
# --maps`. Darker: the pixel moves the feature more; square root of the gradient.
set terminal pngcairo size 1000,560 font "sans,11" background "white"
set output out
set palette defined (0 "white", 1 "black")
unset colorbox; unset xtics; unset ytics
set xrange [-0.5:size-0.5]; set yrange [size-0.5:-0.5]
set size ratio 1
set cbrange [0:1]
set multiplot layout 2,4 margins 0.05,0.99,0.02,0.94 spacing 0.02,0.06
do for [row in "before after"] {
    file = row eq "before" ? before : after
    do for [stage=0:3] {
        set title sprintf("stage %d", stage + 1) offset 0,-0.6
        if (stage == 0) { set ylabel sprintf("%s training", row) } else { unset ylabel }
        plot file index stage matrix using 1:2:(sqrt($3)) with image notitle
    }
}
unset multiplot
