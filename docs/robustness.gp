# Predictions under translation, rotation and scaling. `make analyses` runs this with
# data='file' models='names' out='file.png'; the file is `internimage robustness --plot`:
# amount, then consistency and accuracy of each model.
set terminal pngcairo size 1050,400 font "sans,11" background "white"
set output out
set style data linespoints
set yrange [0:100]; set grid lc rgb "#cccccc"
set multiplot layout 1,3
kinds = "translation rotation scaling"
units = "'pixels' 'degrees' 'times'"
do for [k=1:3] {
    set title word(kinds, k)
    set xlabel word(units, k)
    if (k == 1) { set ylabel "test images, %" } else { unset ylabel }
    if (k == 1) { set key center left } else { unset key }
    plot for [m=1:words(models)] data index k-1 using 1:(column(2*m)) lc rgb "black" \
             dt m pt 2*m+3 ps 0.9 title sprintf("%s: same label", word(models, m)), \
         for [m=1:words(models)] data index k-1 using 1:(column(2*m+1)) lc rgb "#888888" \
             dt m pt 2*m+2 ps 0.9 title sprintf("%s: right", word(models, m))
}
unset multiplot
