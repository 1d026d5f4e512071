# What both stubs do first and what both leave behind: the loader's words in a place of our own, and a stack.

.set LOADER_MAGIC, 0x36D76289           # in eax: a multiboot2 loader has started this (3.3)
.set INFO_ROOM, {INFO_ROOM}
.set KERNEL_OFFSET, {KERNEL_OFFSET}
.set STACK_SIZE, 128 * 1024

.section .bss.boot_info, "aw", @nobits
.balign 8
boot_info: .skip INFO_ROOM

# A page of its own below the stack, so that an overflow can be made to fault.
.section .bss.boot_stack, "aw", @nobits
.balign 4096
.globl boot_stack_guard, boot_stack_bottom, boot_stack_top
boot_stack_guard: .skip 4096
boot_stack_bottom: .skip STACK_SIZE
boot_stack_top:

# In: ebx = the boot information as the loader left it, anywhere below 4 GiB. Out: ebp = its size as it says itself.
# The copy is made before anything else is written; what does not fit into it is left out, and Rust sees so by the size.
.macro KEEP_BOOT_INFO
    mov ebp, [ebx]
    mov ecx, ebp
    cmp ecx, INFO_ROOM
    jbe 1f
    mov ecx, INFO_ROOM
1:  mov esi, ebx
    mov edi, offset boot_info - KERNEL_OFFSET
    rep movsb
.endm
