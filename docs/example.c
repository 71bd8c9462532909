/* Features and the best class of one image:  example weights.h5 image.ppm
 *
 *   cc docs/example.c -Iopt -Lbuild -linternimage -o example                        */
#include "internimage.h"

#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 224 };

int main(int argc, char **argv)
{
    static const float mean[] = {.485f, .456f, .406f}, deviation[] = {.229f, .224f, .225f};
    static unsigned char pixels[SIZE][SIZE][3];
    static float image[3][SIZE][SIZE];
    char why[512];

    FILE *f = argc == 3 ? fopen(argv[2], "rb") : NULL;
    if (!f || fseek(f, -(long)sizeof pixels, SEEK_END) || fread(pixels, sizeof pixels, 1, f) != 1)
        return fprintf(stderr, "usage: example weights.h5 image.ppm (224x224, P6)\n"), 2;
    fclose(f);
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++)
            for (int c = 0; c < 3; c++)
                image[c][y][x] = ((float)pixels[y][x][c] / 255 - mean[c]) / deviation[c];

    struct internimage *m = internimage_load(argv[1], 1, SIZE, SIZE, 0, why, sizeof why);
    if (!m)
        return fprintf(stderr, "%s\n", why), 1;
    int classes = internimage_classes(m), best = 0, height, width, channels;
    float *logits = malloc((size_t)classes * sizeof *logits);
    internimage_run(m, image[0][0], logits);
    for (int i = 1; i < classes; i++)
        best = logits[i] > logits[best] ? i : best;
    const float *feature = internimage_feature(m, 3, &height, &width, &channels);
    printf("%s: class %d, logit %.4f; last feature map %dx%dx%d, first value %.4f\n",
           internimage_isa(m), best, logits[best], height, width, channels, feature[0]);
    free(logits);
    internimage_free(m);
    return 0;
}
