/* Start-up of a bare RV32 core: stack, constants to RAM, zeroed RAM, main. A trap ends the run. */
    .section .text.start, "ax"
    .globl _start
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, __stack_top
    la t0, trap
    csrw mtvec, t0
    la a0, __data_start
    la a1, __data_load
    la a2, __data_end
    sub a2, a2, a0
    call memcpy
    la a0, __bss_start
    la a2, __bss_end
    sub a2, a2, a0
    li a1, 0
    call memset
    call main
    call mico_bsp_exit

    .balign 4
trap:
    li a0, 99
    call mico_bsp_exit
