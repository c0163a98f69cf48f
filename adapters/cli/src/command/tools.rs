//! `tools`: every tool of a server.

use mcp_authz_core::failure::escaped;
use serde_json::json;

use crate::fault::Fault;
use crate::server::Server;

/// Lists them, with the arguments that each takes.
pub(super) async fn run(server: &Server) -> Result<(), Fault> {
    server.say.busy("connecting");
    let transport = server.connect().await?;
    server.say.busy("listing tools");
    let tools = transport.list_tools().await?;
    server.say.idle();
    if tools.is_empty() {
        server.say.text("the server offers no tools");
    }
    for tool in &tools {
        let mut text = escaped(&tool.name);
        let required = tool.input_schema.get("required").and_then(|it| it.as_array());
        let is_required =
            |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
        let properties = tool.input_schema.get("properties").and_then(|it| it.as_object());
        for (name, schema) in properties.into_iter().flatten() {
            let kind = schema.get("type").and_then(|it| it.as_str()).unwrap_or("value");
            let argument = format!("{}={}", escaped(name), escaped(kind).to_uppercase());
            match is_required(name) {
                true => text.push_str(&format!(" {argument}")),
                false => text.push_str(&format!(" [{argument}]")),
            }
        }
        for line in tool.description.as_deref().unwrap_or_default().lines() {
            text.push_str(&format!("\n    {}", escaped(line.trim_end())));
        }
        server.say.result(text, &json!({"event": "tool", "name": tool.name, "tool": tool.raw}));
    }
    let _or_later = transport.close().await;
    server.manager.session().quiet().await;
    Ok(())
}
