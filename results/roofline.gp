# Roofline of one thread: operations per byte that must move, against speed. `bandwidth`
# in GB/s; `rivals`: rival, operations per byte, GFLOP/s, maybe empty.
load "results/style.gp"
set terminal pngcairo noenhanced size 900,560 font "sans,12"
set title "One thread: single ops and layers under this machine's roof"
set xlabel "operations per byte of inputs, weights and output (logarithmic)"
set ylabel "GFLOP/s (logarithmic)"
set logscale xy
set xrange [0.5:300]
set yrange [1:200]
set key bottom right
stats data using 13 nooutput
peak = STATS_median
roof(x) = x * bandwidth < peak ? x * bandwidth : peak
named(s, h) = h == 56 ? s : ""
have_rivals = int(system(sprintf("wc -l <%s", rivals))) > 0
plot roof(x) lc rgb "#000000" lw 2 title sprintf("roof: %.0f GFLOP/s, %.1f GB/s from memory", peak, bandwidth), \
     data using ($11*1e9/$12):7 with points ls 1 title "ours: ops at 56, 28, 14 and DCNv2 layers", \
     data using ($11*1e9/$12):7:(named(strcol(1), $2)) with labels noenhanced font "sans,9" offset 0,0.9 notitle, \
     for [i = 1:have_rivals] rivals using 2:3 with points lc rgb "#555555" pt 6 ps 1.4 lw 2 \
         title "DCNv2 layers of ONNX Runtime, ncnn, torchvision"
