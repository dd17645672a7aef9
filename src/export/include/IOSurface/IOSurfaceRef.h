// Surfaces, by name only: there are none.
#ifndef ARUMINIUM_IO_SURFACE_REF_H
#define ARUMINIUM_IO_SURFACE_REF_H

typedef struct __IOSurface *IOSurfaceRef;

#endif
