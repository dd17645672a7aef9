// Messages. The senders are called after a cast to the method's own type.
#ifndef ARUMINIUM_OBJC_MESSAGE_H
#define ARUMINIUM_OBJC_MESSAGE_H

#include <objc/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

struct objc_super {
    id receiver;
    Class super_class;
};

void objc_msgSend(void);
void objc_msgSendSuper(void);
#if defined(__x86_64__)
void objc_msgSend_stret(void);
void objc_msgSend_fpret(void);
void objc_msgSendSuper_stret(void);
#endif

#ifdef __cplusplus
}
#endif
#endif
