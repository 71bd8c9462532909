/* A rehearsal in a child process. libhdf5 itself may crash or spin on a damaged
 * file (1.10.8 does); then the child dies, not the program. The child opens every
 * object and attribute that a reader could ask for. */
#include "h5_file.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_SECONDS = 30, READ_UP_TO = 64 << 20 };

static herr_t touch_attr(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    (void)context;
    hid_t id = H5Aopen(object, name, H5P_DEFAULT);
    hid_t type = id < 0 ? -1 : H5Aget_type(id);
    if (type >= 0 && info->data_size < READ_UP_TO) {
        char *value = calloc(1, (size_t)info->data_size + 64);
        hid_t space = H5Aget_space(id);
        hssize_t count = space < 0 ? 0 : H5Sget_simple_extent_npoints(space);
        if (value && count > 0 && (double)count * (double)H5Tget_size(type)
                                      <= (double)info->data_size + 63
            && H5Aread(id, type, value) >= 0 && H5Tdetect_class(type, H5T_STRING) > 0
            && H5Tis_variable_str(type) > 0)
            H5Dvlen_reclaim(type, space, H5P_DEFAULT, value);
        free(value);
    }
    return 0;
}

/* Chunked data is found through an index and unpacked by filters: read it too. */
static void touch_dataset(hid_t id)
{
    hid_t plist = H5Dget_create_plist(id), type = H5Dget_type(id), space = H5Dget_space(id);
    H5T_class_t class = H5Tget_class(type);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    if (H5Pget_layout(plist) != H5D_CHUNKED || (class != H5T_FLOAT && class != H5T_INTEGER)
        || count < 1 || count > READ_UP_TO / 8 || H5Dget_storage_size(id) == 0)
        return;
    double *values = malloc((size_t)count * sizeof *values);
    if (values)
        H5Dread(id, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    free(values);
}

static herr_t touch(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    hsize_t at = 0;
    hid_t id = H5Oopen(root, name, H5P_DEFAULT);
    (void)context;
    if (id < 0)
        return 0;
    H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, &at, touch_attr, NULL);
    if (info->type == H5O_TYPE_DATASET)
        touch_dataset(id);
    H5Oclose(id);
    return 0;
}

static void rehearse(const char *path)
{
    const struct rlimit cpu = {MOST_SECONDS, MOST_SECONDS};
    setrlimit(RLIMIT_CPU, &cpu);
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    for (int s = 1; s < 32; s++)        /* die quietly, also under a sanitizer */
        if (s == SIGSEGV || s == SIGBUS || s == SIGFPE || s == SIGABRT || s == SIGILL)
            signal(s, SIG_DFL);
    if (!freopen("/dev/null", "w", stderr))
        close(STDERR_FILENO);           /* a root without /dev */
    /* libhdf5 frees pointers it never set when a group's links cannot be decoded: with
     * memory that is not zero by luck, it fails here and not later in the parent. */
    mallopt(M_PERTURB, 0xA5);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    bool ok = file < 0          /* h5_open() has the words for that */
           || H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, touch, NULL, H5O_INFO_BASIC) >= 0;
    _exit(ok ? EXIT_MATCH : EXIT_BAD_FILE);
}

bool h5_survives(const char *path, struct error *e)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        rehearse(path);
    pid_t ended = -1;
    while (child > 0 && (ended = waitpid(child, &status, 0)) < 0 && errno == EINTR)
        ;                               /* a timer of the program's may interrupt */
    if (ended < 0)
        return fail(e, EXIT_USAGE, "%s: no process to try the file in", path);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_MATCH)
        return true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_BAD_FILE)
        return fail(e, EXIT_BAD_FILE, "%s: damaged: its objects cannot be listed", path);
    return fail(e, EXIT_BAD_FILE, "%s: damaged: the HDF5 library %s on it", path,
                WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU ? "does not come to an end"
                                                                   : "crashes");
}
