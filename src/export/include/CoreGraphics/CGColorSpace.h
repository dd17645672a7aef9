// The colour spaces of CoreGraphics, by name only.
#ifndef ARUMINIUM_CG_COLOR_SPACE_H
#define ARUMINIUM_CG_COLOR_SPACE_H

typedef struct CGColorSpace *CGColorSpaceRef;

#endif
