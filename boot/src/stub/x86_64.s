# From the loader to Rust on x86_64: 32-bit protected mode without paging -> pml4 with 2 MiB pages, in the high half.
#
# Everything up to the jump runs at its physical address.

.set MAPPED, 4 << 30                    # where the loader, its modules and early metadata can be
.set DIRECTORIES, MAPPED >> 30
.set APERTURE, 256                      # the root's entry for 0xFFFF800000000000
.set TOP_2_GIB, 510                     # the last table's entry for KERNEL_OFFSET
.set PRESENT_WRITE, 3
.set LARGE, 1 << 7                      # PS: this entry maps 2 MiB

.set CR0_PG_WP, 1 << 31 | 1 << 16
.set CR4_PAE, 1 << 5
.set EFER, 0xC0000080
.set EFER_LME, 1 << 8
.set EFLAGS_ID, 1 << 21
.set CODE, 8
.set DATA, 16

.section .bss.boot_tables, "aw", @nobits
.balign 4096
.globl boot_root, boot_spare
boot_root: .skip 4096
boot_low: .skip 4096                    # serves identity and aperture alike
boot_high: .skip 4096
boot_directories: .skip DIRECTORIES * 4096
boot_spare: .skip 4096                  # left without entries: `early` maps a framebuffer by it

.section .boot.data, "a", @progbits
boot_no_cpuid_code: .byte 2
boot_no_cpuid: .asciz "Strata x86_64: this CPU has no CPUID and so no long mode; boot the i686 kernel (code 2)"
boot_no_long_mode_code: .byte 3
boot_no_long_mode: .asciz "Strata x86_64: this CPU has no long mode; boot the i686 kernel (code 3)"

.type boot_no_cpuid_code, @object
.type boot_no_long_mode_code, @object
.type boot_no_cpuid, @object
.type boot_no_long_mode, @object

.balign 8
.type boot_gdt, @object
.type boot_gdt_pointer, @object
boot_gdt:
    .quad 0
    .quad 0x00209B0000000000            # 64-bit code, ring 0, accessed
    .quad 0x0000930000000000            # data, writable, accessed
boot_gdt_end:
boot_gdt_pointer:
    .short boot_gdt_end - boot_gdt - 1
    .long boot_gdt

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

    # A CPU whose EFLAGS.ID cannot be flipped has no CPUID (SDM vol. 1, 20.1.1).
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
    mov esi, offset boot_no_cpuid
    jz boot_refuse

    mov eax, 0x80000000                 # which extended leaf is the last?
    cpuid
    cmp eax, 0x80000001
    mov esi, offset boot_no_long_mode
    jb boot_refuse
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 29                   # LM; it implies PAE and 2 MiB pages
    mov esi, offset boot_no_long_mode
    jz boot_refuse

    # The directories, one after another, map the first 4 GiB in order. The upper half of an entry stays 0 until the
    # addresses reach 4 GiB, which is where this ends.
    mov edi, offset boot_directories - KERNEL_OFFSET
    mov eax, PRESENT_WRITE + LARGE
    mov ecx, DIRECTORIES * 512
1:  mov [edi], eax
    add edi, 8
    add eax, 2 << 20
    dec ecx
    jnz 1b

    mov edi, offset boot_low - KERNEL_OFFSET
    mov eax, offset boot_directories - KERNEL_OFFSET + PRESENT_WRITE
    mov [boot_high - KERNEL_OFFSET + TOP_2_GIB * 8], eax
    mov ecx, DIRECTORIES
2:  mov [edi], eax
    add edi, 8
    add eax, 4096
    dec ecx
    jnz 2b

    mov eax, offset boot_spare - KERNEL_OFFSET + PRESENT_WRITE
    mov [boot_low - KERNEL_OFFSET + 511 * 8], eax
    mov eax, offset boot_low - KERNEL_OFFSET + PRESENT_WRITE
    mov [boot_root - KERNEL_OFFSET], eax
    mov [boot_root - KERNEL_OFFSET + APERTURE * 8], eax
    mov eax, offset boot_high - KERNEL_OFFSET + PRESENT_WRITE
    mov [boot_root - KERNEL_OFFSET + 511 * 8], eax

    # PAE and nothing else: whatever firmware left on goes, LA57 above all, which would make five levels of these four.
    # It can be cleared because paging is off (SDM vol. 3A, 4.1.1).
    mov eax, CR4_PAE
    mov cr4, eax
    mov eax, offset boot_root - KERNEL_OFFSET
    mov cr3, eax
    mov ecx, EFER
    rdmsr
    or eax, EFER_LME
    wrmsr
    mov eax, cr0
    or eax, CR0_PG_WP
    mov cr0, eax

    lgdt [boot_gdt_pointer]
    mov eax, CODE
    push eax
    mov eax, offset boot_long_mode      # by way of a register: LLVM makes `push offset` a 16-bit push
    push eax
    retf

.code64
boot_long_mode:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    mov ss, eax
    mov rsp, offset boot_stack_top
    mov edi, LOADER_MAGIC
    mov rsi, offset boot_info
    mov edx, ebp                        # writes all of rdx
    xor ebp, ebp                        # a backtrace ends here
    movabs rax, offset boot_main        # absolute: a relative call would stay in the identity map
    call rax
3:  cli
    hlt
    jmp 3b
.size start, . - start
