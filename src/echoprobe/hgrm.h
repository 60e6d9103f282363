/*
 * hgrm: a histogram in the text format of HdrHistogram's percentiles, which its plotter and
 * hdr-plot read. Counts nothing, and opens no file. Called by recorder.
 */
#ifndef ECHOPROBE_HGRM_H
#define ECHOPROBE_HGRM_H

#include "echoprobe/tally.h"

#include <stdio.h>

/* Print the round trips, in milliseconds. Whether that arrived, the stream knows. */
void hgrm_print(FILE *stream, const struct tally *tally);

#endif
