# Where a CPU begins that another one starts: in real mode, at the start of a page below 1 MiB to which the code between
# start_page and start_page_end is copied. It goes straight to the live mode: every bit of CR4 and EFER on which the tables'
# format depends is on before paging is. Nothing but that page and the tables is used before the jump to the high half.
#
# What lies from start_values on is filled in by start.rs, where it is the struct Values.

    .set START_PE, 1 << 0
    .set START_ET, 1 << 4
    .set START_EFER, 0xC0000080

    .section .rodata, "a", @progbits
    .balign 16
    .global start_page, start_page_end, start_values
start_page:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    # The page's address, as the code after the jump needs it.
    xorl %esi, %esi
    movw %ax, %si
    shll $4, %esi
    lgdtl (start_gdt_pointer - start_page)
    # With the caches on, which INIT leaves off.
    movl $(START_PE | START_ET), %eax
    movl %eax, %cr0
    ljmpl *(start_protected - start_page)

    .code32
start_32:
    movl $START_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    # Each CPU takes a number, however many begin at once.
    movl $1, %ebp
    lock xaddl %ebp, (start_next - start_page)(%esi)
    # What the tables cannot do without is looked for first: a bit set that this CPU does not know is a fault, and there is
    # nobody yet to handle it.
    movl $1, %eax
    cpuid
    notl %edx
    testl %edx, (start_basic - start_page)(%esi)
    jnz start_unfit
    movl (start_extended - start_page)(%esi), %edi
    testl %edi, %edi
    jz 1f
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb start_unfit
    movl $0x80000001, %eax
    cpuid
    notl %edx
    testl %edx, %edi
    jnz start_unfit
1:
    movl (start_structured - start_page)(%esi), %edi
    testl %edi, %edi
    jz 1f
    xorl %eax, %eax
    cpuid
    cmpl $7, %eax
    jb start_unfit
    movl $7, %eax
    xorl %ecx, %ecx
    cpuid
    notl %ecx
    testl %ecx, %edi
    jnz start_unfit
1:
    movl (start_cr4 - start_page)(%esi), %eax
    movl %eax, %cr4
    movl (start_cr3 - start_page)(%esi), %eax
    movl %eax, %cr3
    movl (start_efer - start_page)(%esi), %edi
    testl %edi, %edi
    jz 1f
    movl $START_EFER, %ecx
    rdmsr
    orl %edi, %eax
    wrmsr
1:
    movl (start_cr0 - start_page)(%esi), %eax
    movl %eax, %cr0
    ljmpl *(start_paged - start_page)(%esi)

start_unfit:
    lock incl (start_refused - start_page)(%esi)
1:
    cli
    hlt
    jmp 1b

    .if START_LONG
    .code64
start_64:
    movq $start_high, %rax
    jmp *%rax
    .endif

    .balign 8
start_gdt:
    # Flat, accessed bits set: the page is not writable when paging is on. The first two are where the kernel's own are.
    .quad 0
    .if START_LONG
    .quad 0x00AF9B000000FFFF
    .else
    .quad 0x00CF9B000000FFFF
    .endif
    .quad 0x00CF93000000FFFF
    .quad 0x00CF9B000000FFFF
start_gdt_end:

    .balign 8
start_values:
start_protected:
    .long start_32 - start_page
    .long START_CODE_32
start_paged:
    .if START_LONG
    .long start_64 - start_page
    .else
    .long start_high
    .endif
    .long START_CODE
    .word 0
start_gdt_pointer:
    .word start_gdt_end - start_gdt - 1
    .long start_gdt - start_page
start_cr0:
    .long 0
start_cr3:
    .long 0
start_cr4:
    .long 0
start_efer:
    .long 0
start_basic:
    .long 0
start_extended:
    .long 0
start_structured:
    .long 0
start_next:
    .long 0
start_refused:
    .long 0
start_page_end:

# In the high half, on the live tables, with the number taken in EBP.
    .text
    .type start_high, @function
    .if START_LONG
    .code64
start_high:
    movl %ebp, %edi
    movq start_stacks(, %rdi, 8), %rsp
    xorl %ebp, %ebp
    call start_entry
    .else
    .code32
start_high:
    movl start_stacks(, %ebp, 4), %esp
    movl %ebp, %eax
    xorl %ebp, %ebp
    # At a call the stack is aligned to 16.
    subl $12, %esp
    pushl %eax
    call start_entry
    .endif
    ud2
    .size start_high, . - start_high
