// The types of Objective-C.
#include <objc/runtime.h>
