struct S { int a }
kernel void a(device int* out) { out[0] = 1 }
kernel void b(device int* out) { out[0] = (1; }
kernel void c(device int* out) { if out[0] = 1; }
kernel void d(device int* out) { do { } while }
kernel void e(device int* out) { int 1x = 2; goto end; }
kernel void f(device int* out { }
kernel void g(device int* out) { auto l = [](int x) { return x; }; new int; }
signed float h;
int i = 08;
int j = 'ab';
int k = 0xFFFFFFFFFFFFFFFFF;
foo l;
}
kernel void m(device int* out) { out[0] = 1;
