/* Listing what is in a file. */
#include "h5_file.h"

#include <stdio.h>
#include <string.h>

enum { MOST_DEPTH = 32, MOST_OBJECTS = 1000000, MOST_NAME = 512 };

struct walk {
    struct h5_file *file;
    bool (*child)(void *context, const char *name, bool is_group);
    bool (*dataset)(void *context, const char *name);
    bool dotted;                        /* the name is a key, not a path */
    void *context;
    struct error *error;
    int objects, depth;
    char prefix[H5_PATH];
};

static bool walk_group(struct walk *w, hid_t group);

static bool visit_object(struct walk *w, hid_t object, const char *name, bool is_group)
{
    size_t mark = strlen(w->prefix);
    if (mark + strlen(name) + 2 > sizeof w->prefix)
        return fail(w->error, EXIT_BAD_FILE, "%s: an object's path is too long", w->file->path);
    snprintf(w->prefix + mark, sizeof w->prefix - mark, "%s%s", !mark ? "" : w->dotted ? "." : "/",
             name);
    bool ok = true;
    if (!is_group)
        ok = w->dataset(w->context, w->prefix);
    else if (++w->depth > MOST_DEPTH)
        ok = fail(w->error, EXIT_BAD_FILE, "%s: groups are nested deeper than %d", w->file->path,
                  MOST_DEPTH);
    else
        ok = walk_group(w, object);
    w->depth -= is_group;
    w->prefix[mark] = 0;
    return ok;
}

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *link, void *context)
{
    struct walk *w = context;
    if (++w->objects > MOST_OBJECTS || strlen(name) > MOST_NAME)
        return fail(w->error, EXIT_BAD_FILE, "%s: too many objects, or a name of %zu characters",
                    w->file->path, strlen(name)) - 1;
    if (link->type != H5L_TYPE_HARD)
        return fail(w->error, EXIT_BAD_FILE, "%s: '%s' is %s link, which is refused", w->file->path,
                    name, link->type == H5L_TYPE_EXTERNAL ? "an external" : "a soft") - 1;
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    H5I_type_t type = object < 0 ? H5I_BADID : H5Iget_type(object);
    bool ok;
    if (type != H5I_GROUP && type != H5I_DATASET)
        ok = fail(w->error, EXIT_BAD_FILE, "%s: '%s' is neither a group nor a dataset",
                  w->file->path, name);
    else if (w->dataset)
        ok = visit_object(w, object, name, type == H5I_GROUP);
    else
        ok = w->child(w->context, name, type == H5I_GROUP);
    if (object >= 0)
        H5Oclose(object);
    return ok ? 0 : -1;
}

static bool walk_group(struct walk *w, hid_t group)
{
    hsize_t at = 0;
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &at, visit_link, w) >= 0)
        return true;
    return fail(w->error, EXIT_BAD_FILE, "%s: its objects cannot be listed", w->file->path);
}

static bool walk(struct walk *w, const char *group)
{
    hid_t id = h5_object(w->file, group, w->error);
    if (id < 0)
        return false;
    bool ok = H5Iget_type(id) == H5I_GROUP
           || fail(w->error, EXIT_BAD_FILE, "%s: '%s' is a dataset, expected a group",
                   w->file->path, group);
    ok = ok && walk_group(w, id);
    H5Oclose(id);
    return ok;
}

bool h5_each(struct h5_file *f, const char *group,
             bool (*visit)(void *context, const char *name, bool is_group), void *context,
             struct error *e)
{
    struct walk w = {.file = f, .child = visit, .context = context, .error = e};
    return walk(&w, group);
}

bool h5_each_key(struct h5_file *f, const char *group,
                 bool (*visit)(void *context, const char *key), void *context, struct error *e)
{
    struct walk w = {.file = f, .dataset = visit, .dotted = true, .context = context, .error = e};
    return walk(&w, group);
}

bool h5_each_path(struct h5_file *f, const char *group,
                  bool (*visit)(void *context, const char *path), void *context,
                  struct error *e)
{
    struct walk w = {.file = f, .dataset = visit, .context = context, .error = e};
    return walk(&w, group);
}
