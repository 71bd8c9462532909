/* Cross-entropy against smoothed labels (arXiv 1512.00567; torch.nn.CrossEntropyLoss). With
 * p = softmax(z) and q[k] = (1 - s) [k = label] + s / K,
 *
 *   L = 1/N sum_n -sum_k q[n,k] log p[n,k]      dL/dz[n,k] = (p[n,k] - q[n,k]) / N */
#include "row.h"
#include "optimizer.h"
#include "training.h"

#include <tgmath.h>

double REF(cross_entropy)(int batch, int classes, double smoothing, const real *logits,
                          const int32_t *label, real *d_logits)
{
    const real on = (real)(1 - smoothing), all = (real)(smoothing / classes);
    double loss = 0;
    for (int n = 0; n < batch; n++) {
        const real *z = logits + (int64_t)n * classes;
        real largest = z[0], sum = 0;
        for (int k = 1; k < classes; k++)
            largest = z[k] > largest ? z[k] : largest;
        for (int k = 0; k < classes; k++)
            sum += exp(z[k] - largest);
        for (int k = 0; k < classes; k++) {
            const real log_p = z[k] - largest - log(sum), q = (k == label[n] ? on : 0) + all;
            loss -= (double)(q * log_p);
            if (d_logits)
                d_logits[(int64_t)n * classes + k] = (exp(log_p) - q) / (real)batch;
        }
    }
    return loss / batch;
}
