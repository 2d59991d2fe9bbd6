//! Functions that the kernel's verifier looks at once, and not once for each way that leads to them: it knows nothing of
//! their arguments, and of their answer that it is a number. What they work on is in maps.

use core::mem::transmute;

use weft_dataplane_abi::DropReason;

/// What such a function answers if all is well; otherwise the reason's number and one.
const GO_ON: u32 = 0;

/// The answer of such a function.
#[inline(always)]
pub fn answer(result: Result<(), DropReason>) -> u32 {
    match result {
        Ok(()) => GO_ON,
        Err(reason) => reason as u32 + 1,
    }
}

/// What it means.
#[inline(always)]
pub fn result(answer: u32) -> Result<(), DropReason> {
    if answer == GO_ON {
        return Ok(());
    }
    Err(reason(answer - 1))
}

/// The reason of this number.
#[inline(always)]
pub fn reason(number: u32) -> DropReason {
    if number as usize >= DropReason::ALL.len() {
        return DropReason::KernelRefused;
    }
    // SAFETY: reasons are numbered from 0 without a gap, which the contract checks when it is compiled.
    unsafe { transmute::<u32, DropReason>(number) }
}
