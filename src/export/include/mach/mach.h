// The types of Mach that Metal's interfaces mention.
#ifndef ARUMINIUM_MACH_H
#define ARUMINIUM_MACH_H

#include <stdint.h>

typedef int kern_return_t;
typedef uint32_t mach_port_t;
typedef mach_port_t task_id_token_t;

#endif
