//! Prints the picture of the machine as Mermaid text, drawn from the transition tables.

fn main() {
    if std::env::args().len() > 1 {
        println!(
            "usage: diagram\n\nPrints the state diagram that README.md shows, as Mermaid text."
        );
        return;
    }
    print!("{}", mcp_authz_core::internals::mermaid());
}
