/* What ran: the build and the machine, as every record carries them. */
#ifndef VERIFY_ABOUT_H
#define VERIFY_ABOUT_H

/* Keys in order: version, commit, compiler, flags, libc, onednn, hdf5, zlib, cpu, cpus, isa.
 * "none" where a library is not in this build. The text is valid until the next call. */
enum { ABOUT_ITEMS = 11 };
struct about_item {
    const char *key, *text;
};
const struct about_item *about(void);
const char *about_text(const char *key);

#endif
