# Shared by the plots: readable in black and white. Called with `data` and `out` set.
set terminal pngcairo size 900,560 font "sans,12" enhanced
set output out
set grid lc rgb "#cccccc"
set key top left box lc rgb "#888888" opaque
set border 3
set tics nomirror
set style line 1 lc rgb "#000000" lw 2 pt 7 ps 1.3
set style line 2 lc rgb "#777777" lw 2 pt 5 ps 1.3 dt 2
set style line 3 lc rgb "#000000" lw 1 dt 3
set style line 4 lc rgb "#444444" lw 2 pt 8 ps 1.4 dt 4
