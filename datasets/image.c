#include "image.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_PIXELS = 1 << 26 };

/* ImageNet's statistics, as every InternImage checkpoint was trained with. */
static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};

/* The next number of a PPM header; comments run from # to the end of the line. */
static int header_number(FILE *f)
{
    int c, value = 0;
    while ((c = fgetc(f)) == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '#')
        while (c == '#' && (c = fgetc(f)) != '\n' && c != EOF)
            c = '#';
    if (c < '0' || c > '9')
        return -1;
    for (; c >= '0' && c <= '9' && value < 1 << 20; c = fgetc(f))
        value = 10 * value + c - '0';
    return value;
}

static float *read_pixels(FILE *f, int height, int width)
{
    const size_t pixels = (size_t)height * width;
    unsigned char *bytes = malloc(3 * pixels);
    float *out = malloc(3 * pixels * sizeof *out);
    bool ok = bytes && out && fread(bytes, 3, pixels, f) == pixels;
    for (size_t i = 0; ok && i < pixels; i++)
        for (int c = 0; c < 3; c++)
            out[c * pixels + i] = ((float)bytes[3 * i + c] / 255 - mean[c]) / deviation[c];
    free(bytes);
    if (ok)
        return out;
    free(out);
    return NULL;
}

float *image_read(const char *path, int *height, int *width, struct error *e)
{
    FILE *f = fopen(path, "rb");
    float *out = NULL;
    if (!f) {
        fail(e, EXIT_BAD_FILE, "%s: there is no such file", path);
        return NULL;
    }
    bool p6 = fgetc(f) == 'P' && fgetc(f) == '6';
    *width = p6 ? header_number(f) : -1;
    *height = p6 ? header_number(f) : -1;
    int depth = p6 ? header_number(f) : -1;
    if (*width < 1 || *height < 1 || depth != 255 || *height > MOST_PIXELS / *width)
        fail(e, EXIT_BAD_FILE, "%s: not a binary 8-bit PPM (P6) of at most %d pixels", path,
             MOST_PIXELS);
    else if (!(out = read_pixels(f, *height, *width)))
        fail(e, EXIT_BAD_FILE, "%s: ends before its %d x %d pixels", path, *width, *height);
    fclose(f);
    return out;
}
