# Error per layer of InternImage-T: columns step, torch32, ref32, opt-avx2, opt-avx512.
load "results/style.gp"
set title "InternImage-T at 224x224: error of every layer, against the double reference"
set xlabel "node, in order of execution"
set ylabel "||x - ref64|| / ||ref64|| (logarithmic)"
set logscale y
set format y "10^{%L}"
set key bottom right
plot data using 1:3 with points lc rgb "#bbbbbb" pt 7 ps 0.5 title "scalar float", \
     data using 1:2 with points lc rgb "#000000" pt 6 ps 0.6 title "PyTorch float32", \
     data using 1:5 with points lc rgb "#555555" pt 2 ps 0.7 title "AVX-512 plan"
