// The functions of the Objective-C runtime that C and C++ programs call.
#ifndef ARUMINIUM_OBJC_RUNTIME_H
#define ARUMINIUM_OBJC_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef OBJC_BOOL_IS_BOOL
#if defined(__aarch64__)
#define OBJC_BOOL_IS_BOOL 1
#else
#define OBJC_BOOL_IS_BOOL 0
#endif
#endif
#if OBJC_BOOL_IS_BOOL
typedef bool BOOL;
#else
typedef signed char BOOL;
#endif
#define YES ((BOOL)1)
#define NO ((BOOL)0)

typedef struct objc_class *Class;
typedef struct objc_object {
    Class isa;
} *id;
typedef struct objc_selector *SEL;
typedef struct objc_method *Method;
typedef struct objc_ivar *Ivar;
typedef struct objc_object Protocol;
typedef void (*IMP)(void);
struct objc_method_description {
    SEL name;
    char *types;
};
#define nil ((id)0)
#define Nil ((Class)0)

SEL sel_registerName(const char *name);
SEL sel_getUid(const char *name);
const char *sel_getName(SEL selector);
BOOL sel_isEqual(SEL one, SEL other);

Class objc_getClass(const char *name);
Class objc_lookUpClass(const char *name);
Class objc_getMetaClass(const char *name);
Class objc_allocateClassPair(Class superclass, const char *name, size_t extra);
void objc_registerClassPair(Class cls);
void objc_disposeClassPair(Class cls);
Protocol *objc_getProtocol(const char *name);

Class object_getClass(id object);
Class object_setClass(id object, Class cls);
const char *object_getClassName(id object);
BOOL object_isClass(id object);

const char *class_getName(Class cls);
Class class_getSuperclass(Class cls);
BOOL class_isMetaClass(Class cls);
size_t class_getInstanceSize(Class cls);
BOOL class_addMethod(Class cls, SEL selector, IMP imp, const char *types);
IMP class_replaceMethod(Class cls, SEL selector, IMP imp, const char *types);
BOOL class_addIvar(Class cls, const char *name, size_t size, uint8_t align, const char *types);
BOOL class_addProtocol(Class cls, Protocol *protocol);
BOOL class_conformsToProtocol(Class cls, Protocol *protocol);
BOOL class_respondsToSelector(Class cls, SEL selector);
Method class_getInstanceMethod(Class cls, SEL selector);
Method class_getClassMethod(Class cls, SEL selector);
IMP class_getMethodImplementation(Class cls, SEL selector);
Method *class_copyMethodList(Class cls, unsigned int *count);
Ivar class_getInstanceVariable(Class cls, const char *name);
id class_createInstance(Class cls, size_t extra);
id object_dispose(id object);

SEL method_getName(Method method);
IMP method_getImplementation(Method method);
IMP method_setImplementation(Method method, IMP imp);
void method_exchangeImplementations(Method one, Method other);
const char *method_getTypeEncoding(Method method);
unsigned int method_getNumberOfArguments(Method method);

ptrdiff_t ivar_getOffset(Ivar variable);
id object_getIvar(id object, Ivar variable);
void object_setIvar(id object, Ivar variable, id value);

BOOL protocol_isEqual(Protocol *one, Protocol *other);
struct objc_method_description protocol_getMethodDescription(Protocol *protocol, SEL selector, BOOL required,
                                                             BOOL instance);

id objc_retain(id object);
void objc_release(id object);
id objc_autorelease(id object);
void *objc_autoreleasePoolPush(void);
void objc_autoreleasePoolPop(void *pool);

#ifdef __cplusplus
}
#endif
#endif
