# Time per image against the batch.
load "results/style.gp"
set title "InternImage-T at 224x224: time per image against the batch"
set xlabel "images per batch"
set ylabel "milliseconds per image"
set logscale x 2
set xrange [0.9:18]
set yrange [0:*]
set xtics (1, 2, 4, 8, 16)
set key bottom left
only(t) = sprintf("< awk '$4 == %d' %s", t, data)
plot only(1) using 3:($6 / $3) with linespoints ls 1 title "1 thread", \
     only(2) using 3:($6 / $3) with linespoints ls 2 title "2 threads"
