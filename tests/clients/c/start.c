// A program that makes a device and ends: how long the library takes to load.
extern void *MTLCreateSystemDefaultDevice(void);

int main(void) {
    return MTLCreateSystemDefaultDevice() ? 0 : 1;
}
