use super::*;

fn slow_length(text: &[u8]) -> usize {
    text.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1F)).count()
}

/// Every pair of bytes is tried at every place, since neighbours borrow from each other within a
/// word.
#[test]
fn a_string_ends_where_reading_byte_by_byte_ends_it_sec_19() {
    for place in 0..17 {
        for one in 0..=u8::MAX {
            for two in 0..=u8::MAX {
                let mut text = [b'a'; 19];
                text[place] = one;
                text[place + 1] = two;
                let text = &text[..];
                assert_eq!(plain_length(text), slow_length(text), "{text:?}");
            }
        }
    }
    for length in 0..19 {
        assert_eq!(plain_length(&[b'a'; 19][..length]), length);
    }
}
