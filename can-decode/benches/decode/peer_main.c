/* peer FRAMES [PASSES]: decodes the frames of a file; prints frames, signals, ns a frame of the fastest pass, and a sum
 * of each frame's first value. Thread processor time, as the Rust side measures. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "frame.h"

int decode(const struct frame *f, double *out);

static double cpu_nanos(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

int main(int argc, char **argv)
{
    static double out[4096];
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    int passes = argc > 2 ? atoi(argv[2]) : 15;
    if (!file)
        return perror("frames"), 1;
    fseek(file, 0, SEEK_END);
    size_t count = ftell(file) / sizeof(struct frame);
    rewind(file);
    struct frame *frames = malloc(count * sizeof *frames);
    if (fread(frames, sizeof *frames, count, file) != count)
        return perror("frames"), 1;
    double best = 1e300, sum = 0;
    unsigned long signals = 0;
    for (int pass = 0; pass < passes; pass++) {
        double started = cpu_nanos();
        sum = 0;
        signals = 0;
        for (size_t i = 0; i < count; i++) {
            signals += decode(&frames[i], out);
            __asm__ volatile("" : : "r"(out) : "memory");
            sum += out[0];
        }
        double spent = cpu_nanos() - started;
        if (spent < best)
            best = spent;
    }
    printf("%zu\t%lu\t%.1f\t%.2f\t%e\n", count, signals, best / count, best / signals, sum);
    return 0;
}
