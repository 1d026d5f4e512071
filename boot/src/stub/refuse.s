# The sentence that says why this machine cannot be started, on COM1 and on the VGA text screen; then the end.
#
# 32-bit code without a stack: nothing is set up yet, and every machine that gets here may lack something. What is
# written to may be missing too: a port with nothing behind it reads as all ones, which means "ready", and a UART that
# never becomes ready is waited for a while only.

.set COM1, 0x3F8
.set LINE_STATUS, 5                     # offset of the line status register
.set ROOM, 1 << 5                       # its bit "the transmitter takes a byte"
.set VGA_TEXT, 0xB8000
.set VGA_CELLS, 80 * 25
.set WHITE_ON_RED, 0x4F

.section .boot.data, "a", @progbits

# 115200 baud, 8 data bits, no parity, 1 stop bit: offset of a register, and what is written to it.
.type boot_uart_set_up, @object
boot_uart_set_up:
    .byte 1, 0x00                       # no interrupts
    .byte 3, 0x80                       # the next two are the divisor
    .byte 0, 1
    .byte 1, 0
    .byte 3, 0x03                       # 8N1
    .byte 2, 0x07                       # FIFOs on and empty
    .byte 4, 0x03                       # DTR and RTS: somebody is there
boot_uart_set_up_end:

.type boot_no_loader, @object
boot_no_loader: .asciz "Strata: not started by a multiboot2 loader; GRUB's command is multiboot2"

.section .boot.text, "ax", @progbits
.code32

# In: esi = the sentence, ended by a zero. Does not return.
.type boot_refuse, @function
boot_refuse:
    cli
    cld
    mov edi, esi                        # kept for the screen

    xor eax, eax
    xor edx, edx
    mov ebx, offset boot_uart_set_up
1:  mov dl, [ebx]
    add edx, COM1
    mov al, [ebx + 1]
    out dx, al
    xor edx, edx
    add ebx, 2
    cmp ebx, offset boot_uart_set_up_end
    jb 1b

2:  lodsb
    test al, al
    jz 5f
    mov bl, al
    mov ecx, 1 << 20                    # about a second; a byte takes 0.1 ms
    mov edx, COM1 + LINE_STATUS
3:  in al, dx
    test al, ROOM
    jnz 4f
    dec ecx
    jnz 3b
4:  mov al, bl
    mov edx, COM1
    out dx, al
    jmp 2b
5:  mov al, 10                          # a line feed ends the line; what reads the port splits at it
    out dx, al

    mov esi, edi
    mov edi, VGA_TEXT
    mov ecx, VGA_CELLS
    mov eax, WHITE_ON_RED << 8 | 32
    rep stosw                           # a clean screen: what is on it belongs to the loader
    mov edi, VGA_TEXT
6:  lodsb
    test al, al
    jz 7f
    stosw
    jmp 6b

7:  hlt                                 # an NMI ends a halt
    jmp 7b
.size boot_refuse, . - boot_refuse
