#include <nowhere.h>
#define F(a, b) a + b
#define G(a) #b
int a = F(1);
int b = F(1, 2, 3);
#if 1 +
#endif
#else
#undefined_directive
#warning "a warning"
#error "an error"
#define CAT(a, b) a##b
int c = CAT(+, 1);
#define R 1
#define R 2
#if 0
