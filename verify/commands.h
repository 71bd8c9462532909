/* The commands of `internimage`. Each gets the arguments after its name and
 * returns an exit code; a failure's sentence is in *e. */
#ifndef VERIFY_COMMANDS_H
#define VERIFY_COMMANDS_H

#include "ref/error.h"

int cmd_verify(int argc, char **argv, struct error *e);
int cmd_vectors(int argc, char **argv, struct error *e);
int cmd_convert(int argc, char **argv, struct error *e);
int cmd_bench(int argc, char **argv, struct error *e);
int cmd_compare(int argc, char **argv, struct error *e);
int cmd_tables(int argc, char **argv, struct error *e);
int cmd_run(int argc, char **argv, struct error *e);
int cmd_plot(int argc, char **argv, struct error *e);
int cmd_ablate(int argc, char **argv, struct error *e);
int cmd_erf(int argc, char **argv, struct error *e);
int cmd_robustness(int argc, char **argv, struct error *e);
int cmd_weights(int argc, char **argv, struct error *e);
int cmd_diagnose(int argc, char **argv, struct error *e);
int cmd_explain(int argc, char **argv, struct error *e);
int cmd_inspect(int argc, char **argv, struct error *e);
int cmd_train(int argc, char **argv, struct error *e);
int cmd_accuracy(int argc, char **argv, struct error *e);

#endif
