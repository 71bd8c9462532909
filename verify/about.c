#include "about.h"

#include "opt/kernels.h"
#include "opt/onednn.h"

#include <gnu/libc-version.h>
#include <hdf5.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "build.h"              /* made by make: BUILD_VERSION, _COMMIT, _FLAGS */

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

#if defined __clang__
#define COMPILER "clang " TEXT(__clang_major__) "." TEXT(__clang_minor__) "." TEXT(__clang_patchlevel__)
#else
#define COMPILER "gcc " TEXT(__GNUC__) "." TEXT(__GNUC_MINOR__) "." TEXT(__GNUC_PATCHLEVEL__)
#endif

/* "AMD EPYC", as Linux names it; the architecture elsewhere. */
static const char *cpu_name(void)
{
    static char name[128];
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && !name[0] && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10) && strchr(line, ':'))
            sscanf(strchr(line, ':') + 1, " %127[^\n]", name);
    if (f)
        fclose(f);
    return name[0] ? name : "unknown";
}

const struct about_item *about(void)
{
    static struct about_item item[ABOUT_ITEMS];
    static char hdf5[32], cpus[16];
    const struct kernels *k = kernels_select(NULL, NULL);
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(hdf5, sizeof hdf5, "%u.%u.%u", major, minor, release);
    snprintf(cpus, sizeof cpus, "%d", omp_get_num_procs());
    const struct about_item now[ABOUT_ITEMS] = {
        {"version", BUILD_VERSION}, {"commit", BUILD_COMMIT}, {"compiler", COMPILER},
        {"flags", BUILD_FLAGS}, {"libc", gnu_get_libc_version()},
        {"onednn", onednn_version() ? onednn_version() : "none"}, {"hdf5", hdf5},
        {"zlib", zlibVersion()}, {"cpu", cpu_name()}, {"cpus", cpus},
        {"isa", k ? k->isa : "none"},
    };
    memcpy(item, now, sizeof item);
    return item;
}

const char *about_text(const char *key)
{
    const struct about_item *item = about();
    for (int i = 0; i < ABOUT_ITEMS; i++)
        if (!strcmp(item[i].key, key))
            return item[i].text;
    return NULL;
}
