/* tables learned: figures that no arithmetic gives, and the command that would. */
#include "tables.h"

#include "verify/table.h"

#include <stdio.h>

static void imagenet(void)
{
    static const struct { const char *model; int size; const char *top1; } row[] = {
        {"t", 224, "83.5"}, {"s", 224, "84.2"}, {"b", 224, "84.9"}, {"l", 384, "87.7"},
        {"xl", 384, "88.0"}, {"h", 640, "89.6"}, {"g", 512, "90.1"},
    };
    struct table t = {0};
    puts("ImageNet-1K, top-1 (table 2; G: official README)\n");
    table_row(&t, "model|size|paper|ours|command");
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        table_row(&t, "%s|%d|%s|needs ImageNet and a checkpoint|internimage accuracy --data "
                      "imagenet_%d.h5 --weights %s.h5", row[i].model, row[i].size, row[i].top1,
                  row[i].size, row[i].model);
    table_print(&t, stdout);
    table_free(&t);
    puts("\nThe weight file is made by datasets/torch/convert_checkpoint.py from the official\n"
         "checkpoint, the images are packed at the size shown (docs/).\n");
}

/* Detection and segmentation need heads that are not part of this project. */
static void downstream(void)
{
    static const struct { const char *what, *model, *head, *paper; } row[] = {
        {"COCO val", "t", "Mask R-CNN 1x", "47.2 / 42.5"},
        {"COCO val", "s", "Mask R-CNN 1x", "47.8 / 43.3"},
        {"COCO val", "b", "Mask R-CNN 1x", "48.8 / 44.0"},
        {"COCO val", "t", "Mask R-CNN 3x", "49.1 / 43.7"},
        {"COCO val", "s", "Mask R-CNN 3x", "49.7 / 44.5"},
        {"COCO val", "b", "Mask R-CNN 3x", "50.3 / 44.8"},
        {"COCO val", "l", "Cascade Mask R-CNN 3x", "56.1 / 48.5"},
        {"COCO val", "xl", "Cascade Mask R-CNN 3x", "56.2 / 48.8"},
        {"ADE20K", "t", "UperNet 512", "47.9 / 48.1"},  {"ADE20K", "s", "UperNet 512", "50.1 / 50.9"},
        {"ADE20K", "b", "UperNet 512", "50.8 / 51.3"},  {"ADE20K", "l", "UperNet 640", "53.9 / 54.1"},
        {"ADE20K", "xl", "UperNet 640", "55.0 / 55.3"}, {"ADE20K", "h", "UperNet 896", "59.9 / 60.3"},
    };
    struct table t = {0};
    puts("COCO: box / mask AP (table 3); ADE20K: mIoU, one and several scales (table 5)\n");
    table_row(&t, "data|backbone|head|paper");
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        table_row(&t, "%s|%s|%s|%s", row[i].what, row[i].model, row[i].head, row[i].paper);
    table_print(&t, stdout);
    table_free(&t);
    puts("\nNo command fills these: detectors and UperNet are not part of this project. Its features\n"
         "of all four levels are (internimage_feature() in opt/internimage.h).\n");
}

int tables_learned(struct error *e)
{
    (void)e;
    imagenet();
    downstream();
    puts("Less data (table 12: 1 / 10 / 100 % of ImageNet, top-1): T 5.9 / 56.0 / 83.5, Swin-T\n"
         "fails / 12.1 / 81.-. Ours on a small set: internimage train --data SET --limit N.");
    return EXIT_MATCH;
}
