// The types and functions of CoreFoundation that Metal's interfaces mention.
#ifndef ARUMINIUM_CORE_FOUNDATION_H
#define ARUMINIUM_CORE_FOUNDATION_H

#include <TargetConditionals.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef const void *CFTypeRef;
typedef const struct __CFString *CFStringRef;
typedef double CFTimeInterval;
typedef long CFIndex;

CFTypeRef CFRetain(CFTypeRef object);
void CFRelease(CFTypeRef object);

#ifdef __cplusplus
}
#endif
#endif
