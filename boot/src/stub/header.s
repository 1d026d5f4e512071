# The multiboot2 boot_header: what this is, and what is asked of the loader (Multiboot2 Specification 2.0, 3.1).
#
# The framebuffer tag wants any size and depth. Without it, GRUB under UEFI hands no screen over. Because of it, GRUB sets
# `gfxpayload` anew when it loads the kernel; what the menu wants, it has to say after that.

.set HEADER_MAGIC, 0xE85250D6
.set ARCH_I386, 0                       # "32-bit protected mode": the state that both kernels start in
.set OPTIONAL, 1                        # a loader that does not know this tag may go on

.set TAG_END, 0
.set TAG_REQUEST, 1
.set TAG_CONSOLE, 4
.set TAG_FRAMEBUFFER, 5
.set TAG_MODULE_ALIGN, 6

.section .boot.header, "a", @progbits
# Typed as data, because they share a segment with code and a disassembler would take them for it.
.balign 8
.type boot_header, @object
boot_header:
    .long HEADER_MAGIC
    .long ARCH_I386
    .long boot_header_end - boot_header
    .long 0x100000000 - (HEADER_MAGIC + ARCH_I386 + (boot_header_end - boot_header))

.balign 8
.type boot_needed, @object
boot_needed:
    .short TAG_REQUEST, 0
    .long boot_needed_end - boot_needed
    .long 1                             # command line
    .long 6                             # memory map
boot_needed_end:

.balign 8
.type boot_wanted, @object
boot_wanted:
    .short TAG_REQUEST, OPTIONAL
    .long boot_wanted_end - boot_wanted
    .long 2                             # the loader's name
    .long 3                             # modules
    .long 8                             # framebuffer
    .long 9                             # ELF sections
    .long 14                            # RSDP of ACPI 1.0
    .long 15                            # RSDP of ACPI 2.0 and later
boot_wanted_end:

.balign 8
.type boot_console, @object
boot_console:
    .short TAG_CONSOLE, OPTIONAL
    .long 12
    .long 2                             # VGA text will do; no console is needed at all, COM1 is not the loader's matter

.balign 8
.type boot_screen, @object
boot_screen:
    .short TAG_FRAMEBUFFER, OPTIONAL
    .long 20
    .long 0, 0, 0                       # width, height, depth: whatever there is

.balign 8
    .short TAG_MODULE_ALIGN, OPTIONAL   # each module begins with a page of its own
    .long 8

.balign 8
    .short TAG_END, 0
    .long 8
boot_header_end:
.size boot_header, . - boot_header

# GRUB loads the sections that are no part of the image, the symbol table among them, to the lowest memory that is free. In
# multiboot2 the address 0 means that a section was not loaded, but GRUB may load the first of them there. This one comes before
# the symbol table, says nothing, and takes the whole first page.
.section .placeholder, "", @progbits
.skip 4096
