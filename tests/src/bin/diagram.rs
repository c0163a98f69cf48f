//! Prints the pictures of the machine as Mermaid text, drawn from the transition tables.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => print!("{}", mcp_authz_tests::picture::overview()),
        ["--whole"] => print!("{}", mcp_authz_core::internals::mermaid()),
        _ => println!(
            "usage: diagram [--whole]\n\nPrints the state diagram that README.md shows, as Mermaid text; with \
             --whole the one of\nadapters/driver/src/guide/states.md, which has every state and every signal."
        ),
    }
}
