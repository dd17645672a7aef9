// The sizes of CoreGraphics.
#ifndef ARUMINIUM_CG_GEOMETRY_H
#define ARUMINIUM_CG_GEOMETRY_H

typedef double CGFloat;
typedef struct CGSize {
    CGFloat width, height;
} CGSize;

#endif
