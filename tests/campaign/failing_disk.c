/* Loaded before libc: from the n-th write, flush or rename below a folder on, the disk fails or takes half of each write. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long first, seen;
static int code, once;

/* code: of errno, or 0 for short writes; only_one: the calls after the first one that fails work again */
void disk_fails(const char *below, long from, int with, int only_one) {
    snprintf(folder, sizeof folder, "%s", below);
    first = from, seen = 0, code = with, once = only_one;
}

long disk_calls(void) { return seen; }

static int strikes(const char *path) {
    if (!folder[0] || strncmp(path, folder, strlen(folder)) != 0) return 0;
    seen++;
    return first > 0 && (once ? seen == first : seen >= first);
}

static int strikes_file(int file) {
    char link[64], path[PATH_MAX];
    if (!folder[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return strikes(path);
}

ssize_t write(int file, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    int saved = errno;
    if (strikes_file(file)) {
        if (code) { errno = code; return -1; }
        if (size > 1) size /= 2;
    }
    errno = saved;
    return real(file, data, size);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    if (strikes_file(file) && code) { errno = code; return -1; }
    return real(file);
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = dlsym(RTLD_NEXT, "rename");
    if (strikes(from) && code) { errno = code; return -1; }
    return real(from, to);
}
