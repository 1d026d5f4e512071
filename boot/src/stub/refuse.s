# The sentence that says why this machine cannot be started, on COM1 and on the VGA text screen; then the end. Where the
# screen is a framebuffer there are no letters yet: a red block is drawn into it, with as many white squares in it as the
# sentence's code in docs/troubleshooting.md says.
#
# 32-bit code: nothing is set up yet but a stack, and every machine that gets here may lack something. What is written to
# may be missing too: a port with nothing behind it reads as all ones, which means "ready", and a UART that never becomes
# ready is waited for a while only.

.set COM1, 0x3F8
.set LINE_STATUS, 5                     # offset of the line status register
.set ROOM, 1 << 5                       # its bit "the transmitter takes a byte"
.set VGA_TEXT, 0xB8000
.set VGA_CELLS, 80 * 25
.set WHITE_ON_RED, 0x4F

# Offsets in the tag that describes the framebuffer, and the least that it has (3.6.12).
.set TAG_FRAMEBUFFER_INFO, 8
.set FB_SIZE, 4
.set FB_ADDRESS, 8
.set FB_ADDRESS_HIGH, 12
.set FB_PITCH, 16
.set FB_WIDTH, 20
.set FB_HEIGHT, 24
.set FB_DEPTH, 28
.set FB_TYPE, 29
.set FB_RED, 32                         # its lowest bit, and how many it has
.set FB_BYTES, 38
.set FB_INDEXED, 0
.set FB_DIRECT, 1
.set FB_INDEX_RED, 4                    # colours of the palette that GRUB sets, which is the EGA's
.set FB_INDEX_WHITE, 15

.set SQUARE, 32                         # pixels: a square's side, and what is between two of them
.set BLOCK, 2 * SQUARE                  # the block's height

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

# Each sentence has its code before it.
.type boot_no_loader_code, @object
boot_no_loader_code: .byte 1
.type boot_no_loader, @object
boot_no_loader: .asciz "Strata: not started by a multiboot2 loader; GRUB's command is multiboot2 (code 1)"

.section .boot.text, "ax", @progbits
.code32

# In: esi = the sentence, ended by a zero, and its code before it. Does not return.
.type boot_refuse, @function
boot_refuse:
    cli
    cld
    mov esp, offset boot_stack_top - KERNEL_OFFSET
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
    call boot_block
    jc 7f
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

# Looks for a framebuffer in the boot information, and draws the block into it. What is wrong with the description is no
# framebuffer: there is nobody to tell.
#
# In: esi = the sentence. Out: esi, and carry = drawn.
.type boot_block, @function
boot_block:
    mov ebx, offset boot_info - KERNEL_OFFSET
    mov edx, [ebx]                      # 0 before it is copied
    cmp edx, INFO_ROOM
    ja 8f
    add edx, ebx                        # its end
    add ebx, 8
1:  lea eax, [ebx + FB_BYTES]           # the tag that is looked for has at least so much
    cmp eax, edx
    ja 8f
    cmp dword ptr [ebx], TAG_FRAMEBUFFER_INFO
    je 2f
    mov eax, [ebx + FB_SIZE]
    cmp eax, 8
    jb 8f
    cmp eax, INFO_ROOM
    ja 8f
    add eax, 7
    and eax, -8
    add ebx, eax
    jmp 1b

2:  cmp dword ptr [ebx + FB_ADDRESS_HIGH], 0
    jne 8f
    movzx ebp, byte ptr [ebx + FB_DEPTH]
    add ebp, 7
    shr ebp, 3                          # bytes a pixel
    jz 8f
    cmp ebp, 4
    ja 8f
    movzx eax, byte ptr [esi - 1]
    lea eax, [eax * 2 + 1]
    shl eax, 5                          # how many pixels wide the block is
    cmp eax, [ebx + FB_WIDTH]
    ja 8f
    cmp dword ptr [ebx + FB_HEIGHT], BLOCK
    jb 8f
    mov ecx, eax
    mul ebp
    cmp [ebx + FB_PITCH], eax
    jb 8f
    mov eax, [ebx + FB_PITCH]
    mov edx, BLOCK
    mul edx
    jc 8f
    mov edi, [ebx + FB_ADDRESS]
    add eax, edi
    jc 8f
    cmp edi, offset __image_phys_end    # this code is not drawn over
    jb 8f

    mov al, [ebx + FB_TYPE]
    cmp al, FB_INDEXED
    mov eax, FB_INDEX_RED
    mov edx, FB_INDEX_WHITE
    je 3f
    cmp byte ptr [ebx + FB_TYPE], FB_DIRECT
    jne 8f
    push ecx
    mov cl, [ebx + FB_RED + 1]
    mov eax, 1
    shl eax, cl
    dec eax
    mov cl, [ebx + FB_RED]
    shl eax, cl
    pop ecx
    mov edx, -1
3:  push edx
    mov edx, BLOCK
    call boot_fill

    imul eax, [ebx + FB_PITCH], (BLOCK - SQUARE) / 2
    add edi, eax
    mov eax, ebp
    shl eax, 5                          # bytes of a square's line
    add edi, eax
    add eax, eax                        # bytes from a square to the next
    xchg eax, [esp]                     # white
    movzx ecx, byte ptr [esi - 1]
4:  push ecx
    mov ecx, SQUARE
    mov edx, SQUARE
    call boot_fill
    pop ecx
    add edi, [esp]
    dec ecx
    jnz 4b
    pop eax
    stc
    ret
8:  clc
    ret
.size boot_block, . - boot_block

# In: eax = a pixel, edi = where the first goes, ecx = how many in a line, edx = how many lines, ebp = its bytes, ebx = the
# framebuffer's tag. All but edx is kept.
.type boot_fill, @function
boot_fill:
    push edi
1:  push edi
    push ecx
2:  push ecx
    push eax
    mov ecx, ebp
3:  mov [edi], al
    shr eax, 8
    inc edi
    dec ecx
    jnz 3b
    pop eax
    pop ecx
    dec ecx
    jnz 2b
    pop ecx
    pop edi
    add edi, [ebx + FB_PITCH]
    dec edx
    jnz 1b
    pop edi
    ret
.size boot_fill, . - boot_fill
