# InternImage-T over commits: columns number, commit, then for 1 and for 2 threads the median,
# least and most ms and the share of peak.
load "results/style.gp"
set title "InternImage-T at 224x224 over commits, median of 5 runs in turns, least to most"
set ylabel "milliseconds"
set y2label "share of the FMA peak, %"
set y2range [0:100]
set y2tics
set border 11
set bmargin 5
set rmargin 9
set yrange [0:*]
set xtics rotate by -30
set key at graph 0.98, 0.98 right top
stats data using 1 nooutput
set xrange [0.7:STATS_max + 0.3]
plot data using 1:3:4:5:xtic(2) with yerrorbars ls 1 lw 1 notitle, \
     data using 1:3 with linespoints ls 1 title "ms, 1 thread", \
     data using 1:7:8:9 with yerrorbars ls 4 lw 1 dt 1 notitle, \
     data using 1:7 with linespoints ls 4 title "ms, 2 threads", \
     data using 1:(100 * $6) axes x1y2 with linespoints ls 2 title "% of peak, 1 thread"
