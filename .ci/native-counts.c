// A plugin of QEMU's emulator of programs: counts the instructions executed in memory that is no file's, which is where this
// project's machine code is. The declarations are those of QEMU's interface for plugins, of which no package has a header.

#include <inttypes.h>
#include <stdio.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
typedef void (*on_block)(plugin_id, struct qemu_plugin_tb *);
typedef void (*on_exit)(plugin_id, void *);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_block);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int add, void *, uint64_t);
void qemu_plugin_register_atexit_cb(plugin_id, on_exit, void *);

int qemu_plugin_version = 1;
static uint64_t executed;

// Whether an address of the program is in memory that has no name. The emulator maps it at the same address.
static int is_nameless(uint64_t address) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096];
    int nameless = 0;
    while (maps && fgets(line, sizeof line, maps)) {
        uint64_t from, to, inode;
        char name[2] = "";
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64 " %1s", &from, &to, &inode, name) >= 3 &&
            from <= address && address < to)
            nameless = !name[0];
    }
    if (maps)
        fclose(maps);
    return nameless;
}

// A block of instructions is about to be executed for the first time.
static void block(plugin_id id, struct qemu_plugin_tb *tb) {
    (void)id;
    if (is_nameless(qemu_plugin_tb_vaddr(tb)))
        qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &executed, qemu_plugin_tb_n_insns(tb));
}

static void end(plugin_id id, void *unused) {
    (void)id, (void)unused;
    fprintf(stderr, "instructions %" PRIu64 "\n", executed);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, block);
    qemu_plugin_register_atexit_cb(id, end, NULL);
    return 0;
}
