# InternImage-T at 224, 2 threads, over commits: columns number, commit, ms, share of peak.
load "results/style.gp"
set title "InternImage-T at 224x224, 2 threads, over commits"
set ylabel "milliseconds"
set y2label "share of the FMA peak, %"
set y2range [0:100]
set y2tics
set border 11
set yrange [0:*]
set xtics rotate by -30
set key bottom left
plot data using 1:3:xtic(2) with linespoints ls 1 title "ms", \
     data using 1:(100 * $4) axes x1y2 with linespoints ls 2 title "% of peak"
