# Cost per variant: time against operations, memory beside it.
load "results/style.gp"
set title "T, S, B, L, XL, H at 224x224, batch 1: time and memory against operations"
set xlabel "GFLOP per image (logarithmic)"
set ylabel "milliseconds (logarithmic)"
set y2label "memory of the plan, MB (logarithmic)"
set border 11
set logscale xyy2
set y2tics
set key bottom right
up(s) = system(sprintf("echo %s | tr a-z A-Z", s))
only(t) = sprintf("< awk '$4 == %d' %s", t, data)
set xrange [5:700]
plot only(1) using 11:6 with linespoints ls 1 title "1 thread, ms", \
     only(2) using 11:6 with linespoints ls 2 title "2 threads, ms", \
     only(2) using 11:($9 + $10) axes x1y2 with linespoints ls 4 title "weights and arena, MB", \
     only(2) using 11:6:(up(strcol(1))) with labels offset -1.2,1 notitle
