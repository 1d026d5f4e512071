# From the loader to Rust on i686: 32-bit protected mode without paging -> pml2 with 4 KiB pages, in the high half.
#
# Everything up to the jump runs at its physical address. Only what an i486 has is used: there may be no CPUID, no CR4
# and no 4 MiB page. The loader's segments stay until Rust brings its own.

.set MAPPED, 64 << 20                   # the image, and what Rust needs before it has tables of its own
.set TABLES, MAPPED >> 22
.set SPARE, {SPARE}                     # tables that are left without entries: `early` maps a framebuffer by them
.set SPARE_HALF, 0xF0000000 >> 22       # the directory's entry for the first of them
.set HIGH_HALF, KERNEL_OFFSET >> 22     # the directory's entry for KERNEL_OFFSET
.set PRESENT_WRITE, 3

.set CR0_PG_WP, 1 << 31 | 1 << 16
.set EFLAGS_ID, 1 << 21

.section .bss.boot_tables, "aw", @nobits
.balign 4096
.globl boot_root, boot_spare
boot_root: .skip 4096
boot_tables: .skip TABLES * 4096
boot_spare: .skip SPARE * 4096

.section .boot.text, "ax", @progbits
.code32
.globl start
.type start, @function
start:
    cli
    cld
    cmp eax, LOADER_MAGIC
    mov esi, offset boot_no_loader
    jne boot_refuse
    KEEP_BOOT_INFO
    mov esp, offset boot_stack_top - KERNEL_OFFSET

    # Firmware may have used PAE. A CPU whose EFLAGS.ID cannot be flipped has no CPUID (SDM vol. 1, 20.1.1), and only
    # one with CPUID is sure to have a CR4.
    pushfd
    pop eax
    mov ecx, eax
    xor eax, EFLAGS_ID
    push eax
    popfd
    pushfd
    pop eax
    xor eax, ecx
    test eax, EFLAGS_ID
    jz 1f
    xor eax, eax
    mov cr4, eax
1:
    # The tables, one after another, map the first frames in order.
    mov edi, offset boot_tables - KERNEL_OFFSET
    mov eax, PRESENT_WRITE
    mov ecx, TABLES * 1024
2:  stosd
    add eax, 4096
    dec ecx
    jnz 2b

    # The directory names them twice: identity, which the next instruction needs, and the high half.
    mov edi, offset boot_root - KERNEL_OFFSET
    mov eax, offset boot_tables - KERNEL_OFFSET + PRESENT_WRITE
    mov ecx, TABLES
3:  mov [edi + HIGH_HALF * 4], eax
    stosd
    add eax, 4096
    dec ecx
    jnz 3b

    mov edi, offset boot_root - KERNEL_OFFSET + SPARE_HALF * 4
    mov eax, offset boot_spare - KERNEL_OFFSET + PRESENT_WRITE
    mov ecx, SPARE
5:  stosd
    add eax, 4096
    dec ecx
    jnz 5b

    mov eax, offset boot_root - KERNEL_OFFSET
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG_WP
    mov cr0, eax

    mov esp, offset boot_stack_top
    xor eax, eax
    push eax                            # 16-byte alignment: four words are on the stack when the call is made
    push ebp
    mov eax, offset boot_info           # by way of a register: LLVM makes `push offset` a 16-bit push
    push eax
    mov eax, LOADER_MAGIC
    push eax
    xor ebp, ebp                        # a backtrace ends here
    mov eax, offset boot_main           # absolute: a relative call would stay in the identity map
    call eax
4:  cli
    hlt
    jmp 4b
.size start, . - start
