// Errors in macro expansions: the call is shown first, then the position in the macro.
#define SQUARE(x) ((x) * (x) * missing)
#define TWICE(x) (SQUARE(x) + SQUARE(x))
#define DECLARE(type, name) type name = type(1) + other
#define PASTE(a, b) a ## b

kernel void k(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[i] = SQUARE(2);
    out[i] = TWICE(int(i));
    DECLARE(int, value);
    out[i] = SQUARE(unknown);
    out[i] = PASTE(no, where) + value;
}
