//! Length fields of what weft sends: written after the bytes that they count, and refused if those do not fit.

use super::EncodeError;

/// Writes a length in one byte, then what `body` writes.
pub(super) fn counted_u8(
    out: &mut Vec<u8>,
    what: &'static str,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let at = out.len();
    out.push(0);
    body(out)?;
    let len = out.len() - at - 1;
    let max = usize::from(u8::MAX);
    out[at] = u8::try_from(len).map_err(|_| EncodeError::TooLong { what, len, max })?;
    Ok(())
}

/// Writes a length in two bytes, then what `body` writes.
pub(super) fn counted_u16(
    out: &mut Vec<u8>,
    what: &'static str,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let at = out.len();
    out.extend([0; 2]);
    body(out)?;
    let len = out.len() - at - 2;
    let max = usize::from(u16::MAX);
    let field = u16::try_from(len).map_err(|_| EncodeError::TooLong { what, len, max })?;
    out[at..at + 2].copy_from_slice(&field.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_does_not_fit_is_refused() {
        let mut out = vec![9];
        let fill = |n| {
            move |out: &mut Vec<u8>| {
                out.resize(out.len() + n, 7);
                Ok(())
            }
        };
        counted_u8(&mut out, "x", fill(2)).unwrap();
        counted_u16(&mut out, "x", fill(1)).unwrap();
        assert_eq!(out, [9, 2, 7, 7, 0, 1, 7]);
        let refused = counted_u8(&mut out, "x", fill(256));
        assert_eq!(refused, Err(EncodeError::TooLong { what: "x", len: 256, max: 255 }));
        assert!(counted_u16(&mut out, "x", fill(65_536)).is_err());
    }
}
