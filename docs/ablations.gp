# Accuracy of every ablation with the range of its seeds, and how it was reached. `make
# plots` runs this with data='file' out='file.png'; the file is `internimage ablate --plot`.
set terminal pngcairo size 1150,520 font "sans,11" background "white"
set output out
set multiplot layout 1,2
set grid lc rgb "#cccccc"
stats data index 0 using 3 every ::0::0 nooutput
base = STATS_mean
stats data index 0 using 3 nooutput
rows = STATS_records
set title "mean and range over the seeds; line: base"
set xlabel "test accuracy, %"
set yrange [rows-0.5:-0.5]
set ytics font ",10"
set arrow from base, graph 0 to base, graph 1 nohead dt 2 lc rgb "black"
plot data index 0 using 3:0:4:5:ytic(1) with xerrorbars pt 7 ps 1 lc rgb "black" notitle
unset arrow
set title "after each epoch"
set xlabel "epoch"; set ylabel "test accuracy, %"
set xtics 1; set ytics auto font ",11"
set yrange [*:*]
set key bottom right
# block 0 is the table; the others follow its order
name(i) = system(sprintf("sed -n '%dp' '%s' | cut -d' ' -f1", i + 1, data))
shown = "1 2 3 4 9 11"
plot for [i=1:words(shown)] data index int(word(shown, i)) with linespoints lc rgb "black" \
     dt i pt 2*i+3 title name(int(word(shown, i)))
unset multiplot
