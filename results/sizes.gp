# Speed against image size and threads: InternImage-T, batch 1.
load "results/style.gp"
set title "InternImage-T, batch 1: time against pixels"
set xlabel "image side, pixels (logarithmic)"
set ylabel "milliseconds (logarithmic)"
set logscale xy
set xtics (96, 128, 160, 224, 320, 384, 512)
set xrange [88:560]
first(t) = real(system(sprintf("awk '$2 == 224 && $4 == %d { print $6 }' %s", t, data)))
only(t) = sprintf("< awk '$4 == %d' %s", t, data)
plot only(1) using 2:6 with linespoints ls 1 title "1 thread", \
     only(2) using 2:6 with linespoints ls 2 title "2 threads", \
     first(1) * (x / 224.0)**2 ls 3 title "proportional to pixels, through 224"
